"""The test channel: a payment channel of its own, with its own process, state and address.

It behaves as a real one does, down to the parts that hurt: callbacks that are repeated until answered, that come
twice, late or out of order, payments that are short, doubled or late. It never touches Kameng's database, and only
`kameng.testpay.keys` is meant to be imported from outside.
"""
