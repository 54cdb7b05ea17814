"""Codes and counts: batches, encryption, holds, delivery, reveals."""
