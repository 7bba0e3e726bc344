"""How a study is done: its plan, its pieces, who works on them, and the store that keeps what they find."""
