"""How fast the backup is, against honest yardsticks: `python -m benchmarks`, which `make bench` runs.

    trees -> app in the local host, or a yardstick -> storage, Azurite or one that forgets -> figures -> table

Every figure is of one run on one machine: contenders take turns on the same files and the same storage, with
the same number of files in flight, and their medians are compared. docs/benchmarks.md says what the figures
mean, keeps the last ones, and explains them.

    small_files, large_files, scale, memory   the figures of first runs, each module one kind
    unchanged, millions                       those of runs that find almost everything saved
    sweeps                                    what the app's constants were chosen by
    apps, uploads, others, trees, storage     the app, the yardsticks, what they read and where they write
    shapes, made_up, measured, first_run      trees that are too large to be made, and backups of them
    contest, figures, report                  taking turns, medians and targets, the table
    null_service, null_blobs, saved_tree,
    sorted_names                              the storage that forgets
"""
