"""The language server: what an editor asks of a library while it is being written.

`project` reads the files as they are in the editor and checks them; `elaboration` finds what only the compiler knows,
in the background; `names` says what each word stands for; `features` answers an editor's questions with these, and
`server` speaks the protocol.
"""
