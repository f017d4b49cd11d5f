# mail: ann=plain,two-lines
# fault storage: msg_read 1 error TEMP
# fault storage: msg_read 2 error TIMEOUT
# TEMP keeps the position: two more tries
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S~ \+OK \d+ octets
S. this is a letter.
C: QUIT
S: +OK bye
