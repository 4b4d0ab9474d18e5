"""Avro: containers, and what is read from packets without decoding all of them."""
