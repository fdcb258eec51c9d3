"""The generated parts of docs/, one module per page; `neurobatch.docpages` writes them."""
