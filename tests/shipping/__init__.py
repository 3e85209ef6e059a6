"""What users install by: manifests, charts, the image; rendered by the real tools and held against server and flags."""
