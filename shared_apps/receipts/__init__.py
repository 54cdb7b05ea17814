"""Money that arrives: merchant accounts, the webhook inbox, receipts, payment cases, orders of the network.

A substation's role can write none of it: what a channel said is written by the main station's role alone, and a
sale can be posted only against a receipt (`gate.settle_sale`).
"""
