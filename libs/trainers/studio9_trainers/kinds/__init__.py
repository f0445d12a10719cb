"""One module for each kind of task: from the request's inputs to the announced outputs."""
