# mail: ann=lines-1m,plain
# set: expire=0
# fault storage: msg_read 2 error END
# a message that ends short of its octets is not ended by a dot, and does not count as retrieved.
# The next session reads it to its end before it promises anything
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
!broken
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S~ \+OK \d+ octets
S. *
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: RETR 1
S~ \+OK \d+ octets
S. this is a letter.
C: QUIT
S: +OK bye
