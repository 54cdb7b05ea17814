"""How outside services are spoken to: bounded HTTP, refusals with a name, and Stripe's SDK over both.

Two rooms need it: the adapters of the payment channels (tenant_apps.payments.providers) and of the plans' billing
(shared_apps.billing.stripe).
"""
