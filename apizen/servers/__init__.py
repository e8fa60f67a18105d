"""What turns bytes on sockets into requests, and answers into bytes: for any kind of server, and for each."""
