"""The `/v2.0` API, the one that the Salsa UI speaks: routes by topic, and the strict models of what they answer."""
