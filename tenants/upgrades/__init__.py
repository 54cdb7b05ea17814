"""How the tenant schemas follow the code: `kameng migrate`.

`declarations` reads what a migration promises, `rendering` brings the template forward and records what every other
schema has to take, `applying` lets one schema take it, `running` supervises all of them, `versions` says which
versions this code can serve, `lint` judges migrations before they are let in. docs/tenancy.md tells the whole.
"""
