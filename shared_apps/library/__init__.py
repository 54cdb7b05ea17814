"""The master library: categories, brands, products, SKUs, supply prices, price policy, import and export."""
