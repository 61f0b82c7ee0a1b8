"""The business of Terrific Totes, simulated: the database of ToteSys, its history, and its days.

It stands for a system that is not the platform's, so it imports nothing of it, and production does
not install it.
"""
