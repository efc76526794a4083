"""The lab: web pages on the engine, to try what the lessons say. ``make lab`` opens them.

    python -m minigrad.lab                   all benches
    python -m minigrad.lab --port 8000       at another port, or with --headless and no browser
    make lab-static                          as pages for any web server, in build/lab-static

Each bench is a marimo notebook in ``benches/``: sliders, pictures, words. What it computes is in a
file here, in plain functions of the engine; what it draws goes through ``svg``. Benches import
NumPy, marimo and minigrad alone, so that they also run in a browser.
"""
