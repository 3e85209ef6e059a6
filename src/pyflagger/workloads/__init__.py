"""Kinds of targets, one module each, with their configs and autoscalers. Pure."""
