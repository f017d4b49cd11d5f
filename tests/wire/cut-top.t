# mail: ann=lines-1m,plain
# fault storage: msg_read 3 error CORRUPT
# fault storage: msg_read 6 error CORRUPT
# TOP as RETR: broken off; then read to its end first: refused, and served when it can be read again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: TOP 1 99999999
!broken
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: TOP 1 99999999
S~ -ERR \[SYS/TEMP\] .*
C: DELE 1
S~ -ERR \[SYS/TEMP\] .*
C: TOP 1 99999999
S~ \+OK.*
S. *
C: TOP 1 0
S~ \+OK.*
S. *
C: RETR 1
S~ \+OK \d+ octets
S. *
C: DELE 1
S~ \+OK.*
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
