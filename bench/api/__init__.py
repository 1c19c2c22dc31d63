"""The functions and classes of `import bench`, for scripts and notebooks."""
