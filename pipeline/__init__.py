"""Headstart: should I train my own CNN, or start from a pretrained network?"""

__version__ = "0.1.0"
