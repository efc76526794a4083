"""What ``vanishing_gradient.py`` needs beside its story: settings, tables, figures, claims."""
