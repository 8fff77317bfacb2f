"""What a stage is, and the engines that do its work."""
