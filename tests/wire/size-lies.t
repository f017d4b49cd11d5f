# mail: ann=plain,two-lines
# fault storage: mbox_info * lie octets -3
# fault storage: msg_read 4+ short 5
# a store that lies about the size in each session: the first session ends, the others get the message with its true size
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
S: +OK 184 octets
S. this is a letter.
C: LIST 1
S: +OK 1 184
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S: +OK 184 octets
S. this is a letter.
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
