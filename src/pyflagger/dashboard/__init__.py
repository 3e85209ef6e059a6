"""The dashboard: pages, a JSON API and streams over the read model. `flagger dashboard` runs it.

It only reads. Every page is complete without script; streams replace the parts that changed.
"""
