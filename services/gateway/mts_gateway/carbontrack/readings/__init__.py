"""What this API reads of the views that results publishes; its statements are apart, because the views may be missing."""
