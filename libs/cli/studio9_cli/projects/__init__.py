"""A project as folders on a disk, out of a platform and into one."""
