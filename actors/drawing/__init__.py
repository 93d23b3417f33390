"""Renderers of a machine's diagrams: Mermaid, Graphviz, SVG, plain text, and the Markdown page."""
