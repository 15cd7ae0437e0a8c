"""A venue named toy: its adapter, and its simulator."""
