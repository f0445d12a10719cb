"""Chaos on real servers: Orion, Aries and workers as processes that are killed, frozen and cut off, by seed.

RabbitMQ and Elasticsearch are started for the run alone. `plan` says what will happen, `campaign` makes it happen,
`checker` judges what the event logs, the messages and the disks show afterwards.
"""
