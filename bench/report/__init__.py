"""Tell people: tables, pages and pictures made from records, without TensorFlow and without the dataset."""
