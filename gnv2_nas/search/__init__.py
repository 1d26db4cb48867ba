"""The search: what is asked, what is proposed, evaluated, kept and found."""
