"""The contracts between services: messages, the job document, collections of Aries, prediction tables."""
