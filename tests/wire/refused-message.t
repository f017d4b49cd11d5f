# mail: ann=plain,two-lines
# fault storage: msg_open 1 error PERM
# fault storage: msg_open 2 error CORRUPT
# fault storage: msg_open 5 error DOWN
# fault storage: msg_read 3+ error TEMP
# a message that cannot be opened, or whose first bytes cannot be read, gives -ERR for now, and is not deleted; unless the store itself fails
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S~ -ERR \[SYS/TEMP\] .*
C: DELE 1
S~ -ERR \[SYS/TEMP\] .*
C: TOP 2 0
S~ -ERR \[SYS/TEMP\] .*
C: DELE 2
S~ -ERR \[SYS/TEMP\] .*
C: RETR 1
S~ \+OK \d+ octets
S. this is a letter.
C: RETR 2
S~ -ERR \[SYS/TEMP\] .*
C: TOP 2 0
S~ -ERR \[SYS/TEMP\] .*
C: DELE 2
S~ -ERR \[SYS/TEMP\] .*
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
