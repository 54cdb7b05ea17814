"""The shared schema's tables about substations."""

from tenants.models.addresses import Domain, DomainClaim
from tenants.models.keeping import ErasureRecord, HeldAddress, ShopExport
from tenants.models.making import Signup, SignupStep
from tenants.models.schemas import SchemaScript, SchemaUpgrade, SpareSchema
from tenants.models.shops import Plan, Substation, SubstationStep
from tenants.models.syncing import SyncFeed, SyncState

__all__ = [
    "Domain",
    "DomainClaim",
    "ErasureRecord",
    "HeldAddress",
    "Plan",
    "SchemaScript",
    "SchemaUpgrade",
    "ShopExport",
    "Signup",
    "SignupStep",
    "SpareSchema",
    "Substation",
    "SubstationStep",
    "SyncFeed",
    "SyncState",
]
