"""Unix datagram sockets: message format, delivery, notifications, and the thread that listens."""
