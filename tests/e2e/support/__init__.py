"""What the end-to-end tests are written with: trees as data, apps that run, an independent comparison."""
