"""Files that lie in an object store, by their URL: `s3://bucket/folder`, listed and read like those of a folder."""
