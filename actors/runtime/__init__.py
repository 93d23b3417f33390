"""All machines of one process, and the tasks that look after them."""
