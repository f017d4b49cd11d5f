# mail: ann=plain,dot-lines
# all commands in one segment, a QUIT followed by the end of the client's stream
S: +OK restante ready
C: USER ann\r\nPASS restante\r\nSTAT\r\nUIDL\r\nDELE 1\r\nRETR 2\r\nNOOP\r\nQUIT
!eof
S: +OK send PASS
S: +OK 2 messages
S~ \+OK 2 \d+
S~ \+OK.*
S~ 1 \S+
S~ 2 \S+
S: .
S~ \+OK.*
S~ \+OK \d+ octets
S. ..
S: +OK
S: +OK bye
!end
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
