"""Find a winner: oracles propose, the loop asks and tells, the engine runs candidates on workers."""
