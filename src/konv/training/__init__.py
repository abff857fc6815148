"""Training: the loop, its state and checkpoints, objectives, schedules, augmentation."""
