"""Unix datagram sockets: messages, delivery, the listener thread."""
