"""Modules: named parameters and buffers, with a train/eval state."""
