"""All SQL. A repository is made for one organisation and sees nothing else; `system` alone sees all."""
