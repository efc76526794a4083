"""The lab: web pages on the engine, to try what the lessons say. ``make lab`` opens them.

    python -m minigrad.lab                   all benches
    python -m minigrad.lab --port 8000       at another port, or with --headless and no browser
    make lab-static                          as pages for any web server, in build/lab-static

Each bench is a marimo notebook in ``benches/``: sliders, pictures, words. What it computes is in a
file here, in plain functions of the engine; what it draws goes through ``svg``. Benches import
NumPy, marimo and minigrad alone, so that they also run in a browser.

How soon a key pressed on a slider shows, in Chromium on two cores, six times for each slider: in
three benches within 0.03 to 0.09 s, the graph of the fourth within 0.17 s; in the first bench the
picture within 0.04 to 0.2 s and the doctor's verdict within 0.3 s. Where a slider asks for hundreds
of training steps, that bench shows what has been trained so far.
"""
