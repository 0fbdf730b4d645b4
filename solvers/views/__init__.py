"""What people look at: pictures, and one HTML page."""
