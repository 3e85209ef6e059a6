"""The dashboard: pages, a JSON API and streams over the read model. `flagger dashboard` runs it.

It reads, and creates requests to steer releases, with the rights of its user. Every page is complete without script;
streams replace the parts that changed.
"""
