"""All processes of a project: the manifest, its supervision and its control socket."""
