"""From a source to the target: each way to transfer is a module of this room."""
