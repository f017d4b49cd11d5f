# mail: ann=lines-1m,plain
# fault storage: msg_read 2+ error PERM
# a message that cannot be read to its end is never ended by a dot, and nothing is deleted; the next session is refused that message only
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 2
S~ \+OK.*
C: RETR 1
!broken
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S~ -ERR \[SYS/TEMP\] .*
C: DELE 1
S~ -ERR \[SYS/TEMP\] .*
C: RETR 2
S~ -ERR \[SYS/TEMP\] .*
C: QUIT
S: +OK bye
