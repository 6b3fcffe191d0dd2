"""What runs leave behind: plans, outcomes, manifests."""
